"""Every question that is asked of the views, by where it stands and its name."""

from observability.alerts import queries
from observability.report import questions

ASKED = {
    f"{module.__name__.split('.')[1]}.{name}": sql
    for module in (queries, questions)
    for name, sql in vars(module).items()
    if name.isupper() and isinstance(sql, str)
}
