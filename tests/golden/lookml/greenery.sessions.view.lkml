view: sessions {
  label: "Session"
  sql_table_name: `@{PROJECT}.@{GREENERY_DATASET}.fct_sessions` ;;

  dimension: session_id {
    primary_key: yes
    label: "Session ID"
    description: "The visit."
    type: string
    sql: ${TABLE}.session_id ;;
  }

  dimension: user_id {
    label: "User ID"
    description: "The visitor."
    type: string
    sql: ${TABLE}.user_id ;;
  }

  dimension: had_page_view {
    label: "Had page view"
    description: "1 if a page was viewed, else 0."
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.had_page_view ;;
  }

  dimension: had_add_to_cart {
    label: "Had add to cart"
    description: "1 if something was put into the cart, else 0."
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.had_add_to_cart ;;
  }

  dimension: had_checkout {
    label: "Had checkout"
    description: "1 if the visit ended in a checkout, else 0."
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.had_checkout ;;
  }

  dimension_group: session_created {
    label: "Session created"
    description: "When the visit began, in UTC: the funnel's day."
    type: time
    timeframes: [
      raw,
      time,
      hour_of_day,
      date,
      week,
      month,
      quarter,
      year,
    ]
    convert_tz: no
    sql: ${TABLE}.session_created_at_utc ;;
  }

  dimension_group: session_ended {
    label: "Session ended"
    description: "When the visit's last event was, in UTC."
    type: time
    timeframes: [
      raw,
      time,
      hour_of_day,
      date,
      week,
      month,
      quarter,
      year,
    ]
    convert_tz: no
    sql: ${TABLE}.session_ended_at_utc ;;
  }

  measure: count {
    label: "Count"
    description: "How many sessions."
    type: count
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: visitors {
    label: "Visitors"
    description: "Visitors, each once."
    type: count_distinct
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${user_id} ;;
  }

  measure: total_page_view_sessions {
    label: "Total page view sessions"
    description: "Sessions in which a page was viewed."
    type: sum
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${had_page_view} ;;
  }

  measure: total_add_to_cart_sessions {
    label: "Total add to cart sessions"
    description: "Sessions in which something was put into the cart."
    type: sum
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${had_add_to_cart} ;;
  }

  measure: total_checkout_sessions {
    label: "Total checkout sessions"
    description: "Sessions in which somebody checked out."
    type: sum
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${had_checkout} ;;
  }

  measure: percentage_total_sessions {
    label: "Percentage total sessions"
    description: "Sessions in which a page was viewed, in parts of those in which a page was viewed."
    type: number
    value_format_name: percent_1
    drill_fields: [detail*]
    sql: 1.0 * ${total_page_view_sessions} / NULLIF(${total_page_view_sessions}, 0) ;;
  }

  measure: percentage_add_to_cart_sessions {
    label: "Percentage add to cart sessions"
    description: "Sessions in which something was put into the cart, in parts of those in which a page was viewed."
    type: number
    value_format_name: percent_1
    drill_fields: [detail*]
    sql: 1.0 * ${total_add_to_cart_sessions} / NULLIF(${total_page_view_sessions}, 0) ;;
  }

  measure: percentage_checkout_sessions {
    label: "Percentage checkout sessions"
    description: "Sessions in which somebody checked out, in parts of those in which a page was viewed."
    type: number
    value_format_name: percent_1
    drill_fields: [detail*]
    sql: 1.0 * ${total_checkout_sessions} / NULLIF(${total_page_view_sessions}, 0) ;;
  }

  measure: total_add_to_cart_drop_off {
    label: "Total add to cart drop off"
    description: "Sessions that were lost before anything was put into the cart."
    type: number
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${total_page_view_sessions} - ${total_add_to_cart_sessions} ;;
  }

  measure: total_checkout_drop_off {
    label: "Total checkout drop off"
    description: "Sessions that were lost before checkout."
    type: number
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${total_add_to_cart_sessions} - ${total_checkout_sessions} ;;
  }

  set: detail {
    fields: [
      session_id,
      user_id,
      session_created_time,
      had_page_view,
      had_add_to_cart,
      had_checkout,
    ]
  }
}
