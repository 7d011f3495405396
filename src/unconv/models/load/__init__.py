"""From a MODEL string or a file to a network with weights and its transform."""
