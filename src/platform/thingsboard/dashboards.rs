//! Dashboards that a new user is to see: assigned to the customer (Community), or shared with the
//! user's group by a group that holds that one dashboard (Professional).

use serde_json::json;

use super::ThingsBoard;
use super::client::Call;
use super::customers::{id_of, not_set_up};
use super::entity::reference;
use super::groups::Seat;
use super::trouble::Trouble;

impl ThingsBoard {
    /// Sees to it that users of a customer, seated as given, may open the dashboard with exactly
    /// this title, and gives its id.
    pub(super) async fn shown_dashboard(
        &self,
        title: &str,
        (customer, seats): (&str, &[Seat]),
    ) -> Result<String, Trouble> {
        let search = Call::get(&["tenant", "dashboards"]).by("textSearch", title);
        let listed = self.listing(&search).await?;
        let found = listed.iter().find(|one| one.text("title") == title);
        let id = id_of(found.ok_or_else(|| not_set_up("dashboard", title))?)?;
        match seats.first() {
            None => {
                let call = Call::post(&["customer", customer, "dashboard", &id]);
                self.client.tell(call.repeatable()).await?;
            }
            Some(seat) => self.share(title, &id, seat).await?,
        }
        Ok(id)
    }

    /// Shares a dashboard with the people on a seat. It gets a group of its own, so that nothing
    /// else is shared with it.
    async fn share(&self, title: &str, dashboard: &str, seat: &Seat) -> Result<(), Trouble> {
        let name = format!("Shared with registrations: {title}");
        let group = self.own_group("DASHBOARD", &name).await?;
        self.put_into(&group, dashboard).await?;
        let has = self.permissions(&seat.group).await?;
        if has
            .iter()
            .any(|one| one.referenced("entityGroupId") == Some(&group))
        {
            return Ok(());
        }
        let call = Call::post(&["entityGroup", &group, "share"]);
        let request = json!({
            "allUserGroup": false,
            "userGroupId": reference("ENTITY_GROUP", &seat.group),
            "readElseWrite": true,
        });
        self.client.tell(call.with(&request)).await
    }
}
