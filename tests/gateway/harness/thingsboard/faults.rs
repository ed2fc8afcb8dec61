//! What can happen to a request on its way.

use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    LostBefore,
    /// It is carried out; the connection breaks before the reply.
    LostAfter,
    /// It is refused for its number; nothing is done.
    TooMany,
    /// Something in front answers 404 with a page of its own.
    Misled,
    /// The token that it comes with has expired on the way.
    Expired,
    /// The answer takes so long.
    Slow(Duration),
}

/// Faults that are still to happen.
#[derive(Debug, Default)]
pub struct Faults {
    orders: Vec<Order>,
}

#[derive(Debug)]
struct Order {
    fault: Fault,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Path { method: String, ending: String },
    After(usize),
}

impl Faults {
    pub fn on(&mut self, fault: Fault, method: &str, ending: &str) {
        self.orders.push(Order {
            fault,
            place: Place::Path {
                method: method.to_owned(),
                ending: ending.to_owned(),
            },
        });
    }

    pub fn on_nth(&mut self, fault: Fault, number: usize) {
        self.orders.push(Order {
            fault,
            place: Place::After(number),
        });
    }

    pub fn are_over(&self) -> bool {
        self.orders.is_empty()
    }

    /// What happens to this request, which is then over.
    pub fn strike(&mut self, asked_method: &str, path: &str) -> Option<Fault> {
        let mut hit = None;
        for (index, order) in self.orders.iter_mut().enumerate() {
            let is_it = match &mut order.place {
                Place::Path { method, ending } => {
                    method == asked_method && path.ends_with(ending.as_str())
                }
                Place::After(0) => true,
                Place::After(left) => {
                    *left -= 1;
                    false
                }
            };
            if is_it && hit.is_none() {
                hit = Some(index);
            }
        }
        hit.map(|index| self.orders.remove(index).fault)
    }
}
