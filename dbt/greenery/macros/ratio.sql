{# What part of a whole, to four decimals; null where the whole is nothing. #}
{% macro ratio(part, whole) -%}
    {{ adapter.dispatch('ratio')(part, whole) }}
{%- endmacro %}

{% macro default__ratio(part, whole) -%}
    cast(round(cast({{ part }} as {{ dbt.type_numeric() }}) / nullif({{ whole }}, 0), 4) as numeric(7, 4))
{%- endmacro %}

{# A scale is not allowed in BigQuery's casts: its numeric keeps the four decimals, but shows no trailing zeros. #}
{% macro bigquery__ratio(part, whole) -%}
    round(cast({{ part }} as numeric) / nullif({{ whole }}, 0), 4)
{%- endmacro %}
