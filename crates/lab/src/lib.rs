//! Both sites on one machine, with a checked load, to look at, to rehearse and to measure.
