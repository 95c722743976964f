select
    promo_id,
    {{ dbt.safe_cast('discount', dbt.type_numeric()) }} as discount_usd,
    status
from {{ source('greenery', 'promos') }}
