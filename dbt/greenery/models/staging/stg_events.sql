select
    event_id,
    session_id,
    user_id,
    event_type,
    page_url,
    product_id,
    order_id,
    created_at as event_created_at_utc
from {{ source('greenery', 'events') }}
