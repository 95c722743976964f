select
    {{ dbt.concat(['order_id', "'/'", 'product_id']) }} as order_item_id,
    order_id,
    product_id,
    quantity
from {{ source('greenery', 'order_items') }}
