select
    user_id,
    first_name,
    last_name,
    email,
    phone_number,
    address_id,
    created_at as registered_at_utc,
    updated_at as updated_at_utc
from {{ source('greenery', 'users') }}
