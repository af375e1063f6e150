//! Families of models: layers whose models take turns as one.
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// The family of a layer. Joining leads one family to another, so that all layers of both follow, also those that the new
/// model does not contain.
#[derive(Debug)]
pub struct Family {
    number: u64,
    joined: OnceLock<Arc<Family>>,
}

impl Family {
    /// A family of its own.
    #[must_use]
    pub fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self { number: NEXT.fetch_add(1, Ordering::Relaxed), joined: OnceLock::new() })
    }

    fn root(self: &Arc<Self>) -> Arc<Self> {
        let mut family = Arc::clone(self);
        while let Some(next) = family.joined.get().cloned() {
            family = next;
        }
        family
    }

    /// What identifies the family now.
    #[must_use]
    pub fn number(self: &Arc<Self>) -> u64 {
        self.root().number
    }

    /// Makes one family of two; the older one stays.
    pub fn join(self: &Arc<Self>, other: &Arc<Self>) {
        loop {
            let (left, right) = (self.root(), other.root());
            if left.number == right.number {
                return;
            }
            let (old, new) = if left.number < right.number { (left, right) } else { (right, left) };
            // Another thread may have joined it meanwhile: look again.
            if new.joined.set(old).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn joining_takes_all_members_along() {
        // A model of a and b; c is older. Then a model of c and a: b belongs to it too.
        let (c, a, b) = (Family::new(), Family::new(), Family::new());
        a.join(&b);
        c.join(&a);
        assert_eq!(b.number(), c.number());
        assert_eq!(a.number(), c.number());
        assert_ne!(Family::new().number(), c.number());
    }
}
