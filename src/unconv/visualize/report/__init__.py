"""The report page: units, filters, pictures and comparisons, from a plan to HTML."""
