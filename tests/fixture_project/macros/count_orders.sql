{% macro count_orders() %}
    {% set counted = run_query('select count(*) as orders from ' ~ ref('orders')) %}
    {{ log(counted.columns['orders'][0] ~ ' orders', info=true) }}
{% endmacro %}

{% test positive_value(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} <= 0
{% endtest %}
