{# What part of a whole, to four decimals; null where the whole is nothing. #}
{% macro ratio(part, whole) -%}
    cast(round(cast({{ part }} as {{ dbt.type_numeric() }}) / nullif({{ whole }}, 0), 4) as numeric(7, 4))
{%- endmacro %}
