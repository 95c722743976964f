select
    order_id,
    user_id,
    promo_id,
    address_id,
    created_at as order_created_at_utc,
    cast(order_cost as {{ dbt.type_numeric() }}) as order_cost_usd,
    cast(shipping_cost as {{ dbt.type_numeric() }}) as shipping_cost_usd,
    cast(order_total as {{ dbt.type_numeric() }}) as order_total_usd,
    tracking_id,
    shipping_service,
    estimated_delivery_at as estimated_delivery_at_utc,
    delivered_at as delivered_at_utc,
    status
from {{ source('greenery', 'orders') }}
