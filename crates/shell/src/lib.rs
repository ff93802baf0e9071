//! The management shell: the lines of the runbook, one grammar, a table of cmdlets.
