"""What LookML has words for: the keys of each block, and the values that some keys take."""

from collections.abc import Mapping


def words_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_FIELD = (
    "label label_from_parameter view_label group_label group_item_label description hidden tags required_fields "
    "required_access_grants sql type html link action can_filter fanout_on alias suggestions suggestable "
    "suggest_explore suggest_dimension suggest_persist_for full_suggestions bypass_suggest_restrictions "
    "case_sensitive value_format value_format_name drill_fields"
)
_WORDS: Mapping[str, str] = {
    "file": "include connection label view explore datagroup access_grant named_value_format test map_layer "
    "persist_for persist_with week_start_day fiscal_month_offset case_sensitive project_name constant local_dependency "
    "remote_dependency localization_settings new_lookml_runtime visualization application",
    "view": "label view_label sql_table_name derived_table extends extension final required_access_grants "
    "suggestions fields_hidden_by_default drill_fields dimension dimension_group measure filter parameter set "
    "include query",
    "dimension": f"{_FIELD} primary_key case tiers style allow_fill order_by_field datatype convert_tz "
    "map_layer_name skip_drill_filter string_datatype units sql_latitude sql_longitude bins intervals "
    "start_location_field end_location_field sql_start sql_end",
    "dimension_group": f"{_FIELD} timeframes intervals datatype convert_tz allow_fill order_by_field sql_start sql_end "
    "skip_drill_filter",
    "measure": f"{_FIELD} filters percentile precision list_field direction approximate approximate_threshold "
    "sql_distinct_key required_fields convert_tz datatype",
    "filter": f"{_FIELD} default_value convert_tz datatype",
    "parameter": f"{_FIELD} default_value allowed_value convert_tz",
    "set": "fields",
    "explore": "label group_label description hidden tags extends extension final from view_name view_label fields "
    "join required_joins always_filter conditionally_filter always_join access_filter required_access_grants "
    "sql_always_where sql_always_having sql_table_name symmetric_aggregates cancel_grouping_fields query "
    "aggregate_table persist_for persist_with case_sensitive relationship sql_preamble",
    "join": "from view_label fields type relationship sql_on foreign_key required_joins required_access_grants "
    "outer_only sql_where sql_table_name sql relationship",
    "link": "label url icon_url",
    "datagroup": "label description sql_trigger max_cache_age interval_trigger",
    "access_grant": "user_attribute allowed_values",
    "constant": "value export",
    "test": "explore_source assert",
    "explore_source": "column derived_column filters bind_all_filters bind_filters sorts limit timezone expression "
    "expression_custom_filter",
    "column": "field",
    "assert": "expression",
    "always_filter": "filters",
    "conditionally_filter": "filters unless",
    "access_filter": "field user_attribute",
    "named_value_format": "value_format strict_value_format",
}
KEYS: Mapping[str, frozenset[str]] = {kind: words_of(words) for kind, words in _WORDS.items()}
"""The keys of each kind of block; kinds that are not here are not judged."""

REPEATED = words_of(
    "include view explore datagroup access_grant named_value_format test map_layer constant local_dependency "
    "remote_dependency dimension dimension_group measure filter parameter set join link action access_filter query "
    "aggregate_table column derived_column assert allowed_value filters bind_filters extends application "
    "visualization"
)
"""What may be said several times in a block."""

DIMENSION_TYPES = words_of(
    "string number yesno date date_time tier bin zipcode location distance duration time bigint int"
)
GROUP_TYPES = frozenset(["time", "duration"])
MEASURE_TYPES = words_of(
    "count count_distinct sum sum_distinct average average_distinct median median_distinct percentile "
    "percentile_distinct min max number string yesno date list percent_of_total percent_of_previous "
    "running_total period_over_period int"
)
OF_NUMBERS = words_of("sum sum_distinct average average_distinct median median_distinct percentile percentile_distinct")
OF_MEASURES = words_of("number string yesno date percent_of_total percent_of_previous running_total")
RELATIONSHIPS = frozenset(["many_to_one", "one_to_one", "one_to_many", "many_to_many"])
JOIN_TYPES = frozenset(["left_outer", "full_outer", "inner", "cross"])
EXPORTS = frozenset(["none", "override_optional", "override_required"])
FORMATS = frozenset(
    ["id", *(f"{name}_{places}" for name in ("decimal", "percent") for places in range(5)),
     *(f"{name}{places}" for name in ("usd", "gbp", "eur") for places in ("", "_0"))]
)  # fmt: skip
TILES = words_of(
    "single_value table looker_grid looker_column looker_bar looker_line looker_area looker_scatter looker_pie "
    "looker_donut_multiples looker_funnel looker_timeline looker_waterfall looker_boxplot looker_map "
    "looker_geo_coordinates looker_geo_choropleth looker_wordcloud looker_single_record text button "
    "sankey treemap word_cloud"
)
"""Types of dashboard elements."""

TIMEFRAMES = words_of(
    "raw time time_of_day hour hour_of_day hour2 hour3 hour4 hour6 hour8 hour12 minute minute5 minute10 minute15 "
    "minute30 second millisecond microsecond date day_of_week day_of_week_index day_of_month day_of_year week "
    "week_of_year month month_num month_name quarter quarter_of_year fiscal_quarter fiscal_month_num "
    "fiscal_quarter_of_year fiscal_year year yesno"
)
"""Of a dimension group."""
