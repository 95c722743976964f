{{ config(materialized='table') }}

select customers.customer_id, count(orders.order_id) as orders, coalesce(sum(orders.loaves), 0) as loaves
from {{ ref('stg_customers') }} as customers
left join {{ ref('orders') }} as orders on orders.customer_id = customers.customer_id
group by customers.customer_id
