with days as (
    select
        {{ dbt.date_trunc('day', 'session_created_at_utc') }} as session_date,
        cast(sum(had_page_view) as {{ dbt.type_int() }}) as total_page_view_sessions,
        cast(sum(had_add_to_cart) as {{ dbt.type_int() }}) as total_add_to_cart_sessions,
        cast(sum(had_checkout) as {{ dbt.type_int() }}) as total_checkout_sessions
    from {{ ref('fct_sessions') }}
    group by 1
)

select
    {{ iso_timestamp('session_date') }} as session_date,
    total_page_view_sessions,
    total_add_to_cart_sessions,
    total_checkout_sessions,
    {{ ratio('total_page_view_sessions', 'total_page_view_sessions') }} as percentage_total_sessions,
    {{ ratio('total_add_to_cart_sessions', 'total_page_view_sessions') }} as percentage_add_to_cart_sessions,
    {{ ratio('total_checkout_sessions', 'total_page_view_sessions') }} as percentage_checkout_sessions,
    total_page_view_sessions - total_add_to_cart_sessions as total_add_to_cart_drop_off,
    total_add_to_cart_sessions - total_checkout_sessions as total_checkout_drop_off
from days
order by session_date
