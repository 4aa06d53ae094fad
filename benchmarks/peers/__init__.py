"""The same job, as a competent user of each tool would write it: about a hundred lines each."""
