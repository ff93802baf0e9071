//! The best hits of a search so far.

use crate::search::Order;

/// Places in the answer, best first, as many as are wanted and each once. Greater ones are newer.
pub(crate) struct Best<P> {
    order: Order,
    wanted: usize,
    pub(crate) places: Vec<P>,
}

impl<P: Ord> Best<P> {
    pub(crate) fn new(order: Order, wanted: usize) -> Self {
        Self { order, wanted, places: Vec::new() }
    }

    /// Adds one, unless it is there; answers whether it is good enough.
    pub(crate) fn push(&mut self, place: P) -> bool {
        let at = match self.order {
            Order::Newest => self.places.partition_point(|p| *p > place),
            Order::Oldest => self.places.partition_point(|p| *p < place),
        };
        if at >= self.wanted {
            return false;
        }
        if self.places.get(at) != Some(&place) {
            self.places.insert(at, place);
            self.places.truncate(self.wanted);
        }
        true
    }

    /// The place that a hit must reach to be of use, if there are enough already.
    pub(crate) fn worst(&self) -> Option<&P> {
        self.places.get(self.wanted.checked_sub(1)?)
    }
}
