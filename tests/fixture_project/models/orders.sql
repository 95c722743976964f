{{ config(materialized='table') }}

select orders.order_id, orders.customer_id, orders.ordered_at, orders.loaves, payments.amount
from {{ ref('stg_orders') }} as orders
left join {{ ref('stg_payments') }} as payments on payments.order_id = orders.order_id
