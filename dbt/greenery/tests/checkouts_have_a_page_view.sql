-- Nobody can check out without having seen a page: if it looks so, the tracker loses events.
select session_id
from {{ ref('fct_sessions') }}
where had_checkout = 1 and had_page_view = 0
