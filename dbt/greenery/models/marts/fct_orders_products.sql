select
    items.order_item_id,
    items.order_id,
    items.product_id,
    products.product_name,
    items.quantity,
    products.price_usd,
    items.quantity * products.price_usd as revenue_usd
from {{ ref('stg_order_items') }} as items
inner join {{ ref('stg_products') }} as products on products.product_id = items.product_id
