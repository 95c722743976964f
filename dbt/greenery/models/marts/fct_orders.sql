select
    order_id,
    user_id,
    address_id,
    status,
    order_created_at_utc,
    {{ week_start('order_created_at_utc') }} as order_week_utc,
    delivered_at_utc,
    promo_id,
    products,
    items,
    order_cost_usd,
    shipping_cost_usd,
    discount_usd,
    order_total_usd
from {{ ref('int_orders') }}
