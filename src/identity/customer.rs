//! Identifiers of what the platform holds: customers, locations, partners.

super::text_id! {
    /// A customer, as the platform names it.
    CustomerId
}
super::text_id! {
    /// A location of a customer, as the platform names it.
    LocationId
}
super::text_id! {
    /// A partner organisation, as the platform names it.
    PartnerId
}
