with items as (
    select
        order_id,
        count(*) as products,
        sum(quantity) as items
    from {{ ref('stg_order_items') }}
    group by order_id
)

select
    orders.order_id,
    orders.user_id,
    orders.address_id,
    orders.status,
    orders.order_created_at_utc,
    orders.delivered_at_utc,
    orders.order_cost_usd,
    orders.shipping_cost_usd,
    coalesce(promos.discount_usd, 0) as discount_usd,
    orders.order_total_usd,
    orders.promo_id,
    items.products,
    items.items
from {{ ref('stg_orders') }} as orders
left join {{ ref('stg_promos') }} as promos on promos.promo_id = orders.promo_id
left join items on items.order_id = orders.order_id
