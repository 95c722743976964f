select
    events.event_id,
    events.session_id,
    events.user_id,
    users.state,
    events.event_type,
    events.page_url,
    events.product_id,
    events.order_id,
    events.event_created_at_utc
from {{ ref('stg_events') }} as events
left join {{ ref('int_users') }} as users on users.user_id = events.user_id
