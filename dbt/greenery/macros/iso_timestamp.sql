{# A UTC timestamp as text, as in 2021-02-09T00:00:00Z. #}
{% macro iso_timestamp(timestamp) -%}
    {{ adapter.dispatch('iso_timestamp')(timestamp) }}
{%- endmacro %}

{% macro default__iso_timestamp(timestamp) -%}
    strftime({{ timestamp }}, '%Y-%m-%dT%H:%M:%SZ')
{%- endmacro %}

{% macro bigquery__iso_timestamp(timestamp) -%}
    format_timestamp('%Y-%m-%dT%H:%M:%SZ', {{ timestamp }})
{%- endmacro %}
