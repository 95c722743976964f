select
    users.user_id,
    users.state,
    users.registered_at_utc,
    count(orders.order_id) as orders,
    coalesce(sum(orders.order_total_usd), 0) as spent_usd,
    min(orders.order_created_at_utc) as first_order_at_utc,
    max(orders.order_created_at_utc) as last_order_at_utc
from {{ ref('int_users') }} as users
left join {{ ref('int_orders') }} as orders on orders.user_id = users.user_id
group by users.user_id, users.state, users.registered_at_utc
