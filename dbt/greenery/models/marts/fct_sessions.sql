select
    session_id,
    user_id,
    min(event_created_at_utc) as session_created_at_utc,
    max(event_created_at_utc) as session_ended_at_utc,
    max(case when event_type = 'page_view' then 1 else 0 end) as had_page_view,
    max(case when event_type = 'add_to_cart' then 1 else 0 end) as had_add_to_cart,
    max(case when event_type = 'checkout' then 1 else 0 end) as had_checkout
from {{ ref('fct_events') }}
group by session_id, user_id
