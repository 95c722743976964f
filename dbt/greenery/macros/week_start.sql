{# The Monday on which a timestamp's week begins, at midnight. BigQuery's own weeks begin on Sunday. #}
{% macro week_start(timestamp) -%}
    {{ adapter.dispatch('week_start')(timestamp) }}
{%- endmacro %}

{% macro default__week_start(timestamp) -%}
    {{ dbt.date_trunc('week', timestamp) }}
{%- endmacro %}

{% macro bigquery__week_start(timestamp) -%}
    {{ dbt.date_trunc('isoweek', timestamp) }}
{%- endmacro %}
