select order_id, amount
from {{ source('till', 'payments') }}
