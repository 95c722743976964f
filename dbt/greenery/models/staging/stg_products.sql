select
    product_id,
    name as product_name,
    cast(price as {{ dbt.type_numeric() }}) as price_usd,
    inventory
from {{ source('greenery', 'products') }}
