select
    users.user_id,
    users.email,
    users.registered_at_utc,
    addresses.state,
    addresses.country
from {{ ref('stg_users') }} as users
left join {{ ref('stg_addresses') }} as addresses on addresses.address_id = users.address_id
