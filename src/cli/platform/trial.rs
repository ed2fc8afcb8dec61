//! `vestibule platform try`: one operation of the seam, on whatever platform there is, and what the
//! gateway understands of the answer.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::Installation;
use super::super::input::text_of;
use super::super::say::{complain, say};
use super::super::serve;
use crate::identity::{CustomerId, EmailAddress, UserId};
use crate::platform::{
    Administrator, Made, Mark, NewCustomer, NewLocation, NewUser, PasswordCheck, PasswordRules,
    Platform, ProfileChange, RoleChange, Undone,
};

/// What is tried.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Also do what changes something.
    #[arg(long, global = true)]
    write: bool,
    #[command(subcommand)]
    trial: Trial,
}

/// One operation.
#[derive(Debug, clap::Subcommand)]
enum Trial {
    /// What the platform can do.
    Capabilities,
    /// The user with this id.
    User { id: String },
    /// The user with this address.
    UserByEmail { email: String },
    /// The customer with this id.
    Customer { id: String },
    /// The customer with this organisation code.
    CustomerByCode { code: String },
    /// The partner with this code.
    PartnerByCode { code: String },
    /// Those who decide who belongs to a customer.
    Administrators { customer: String },
    /// What is known of a user.
    Profile { user: String },
    /// What is demanded of passwords.
    PasswordRules,
    /// Whether the password on standard input is right.
    CheckPassword { email: String },
    /// Make a customer, from a JSON file. Writes.
    EnsureCustomer(Record),
    /// Make a location, from a JSON file. Writes.
    EnsureLocation(Record),
    /// Make a user, from a JSON file. Writes.
    EnsureUser(Record),
    /// Remove the customer that a mark made. Writes.
    RemoveCustomer(Record),
    /// Remove the location that a mark made. Writes.
    RemoveLocation(Record),
    /// Remove the user that a mark made. Writes.
    RemoveUser(Record),
    /// Change what is known of a user, by a JSON file. Writes.
    UpdateProfile { user: String, change: PathBuf },
    /// Give roles to a user and take others away. Writes.
    UpdateRoles {
        user: String,
        #[arg(long)]
        give: Vec<String>,
        #[arg(long)]
        take: Vec<String>,
    },
    /// Give a user the password on standard input. Writes.
    SetPassword { user: String },
}

/// What is made or removed.
#[derive(Debug, clap::Args)]
struct Record {
    /// The mark, any text of your own.
    #[arg(long)]
    mark: String,
    /// A JSON file; `-` for standard input.
    record: PathBuf,
}

/// Prints what the gateway understands, as JSON.
pub fn run(installation: &Installation, choice: &Choice) -> anyhow::Result<ExitCode> {
    if choice.trial.writes() && !choice.write {
        anyhow::bail!("this changes something in the platform: add `--write` if that is meant");
    }
    serve::runtime()?.block_on(async {
        let platform = super::opened(installation).await?.platform;
        match choice.trial.carried_out(&*platform).await {
            Ok(value) => {
                say(&(serde_json::to_string_pretty(&value)? + "\n"))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                complain(&format!("vestibule: {error:#}\n"));
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

impl Trial {
    const fn writes(&self) -> bool {
        match self {
            Self::Capabilities
            | Self::User { .. }
            | Self::UserByEmail { .. }
            | Self::Customer { .. }
            | Self::CustomerByCode { .. }
            | Self::PartnerByCode { .. }
            | Self::Administrators { .. }
            | Self::Profile { .. }
            | Self::PasswordRules
            | Self::CheckPassword { .. } => false,
            Self::EnsureCustomer(_)
            | Self::EnsureLocation(_)
            | Self::EnsureUser(_)
            | Self::RemoveCustomer(_)
            | Self::RemoveLocation(_)
            | Self::RemoveUser(_)
            | Self::UpdateProfile { .. }
            | Self::UpdateRoles { .. }
            | Self::SetPassword { .. } => true,
        }
    }

    async fn carried_out(&self, platform: &dyn Platform) -> anyhow::Result<Value> {
        if self.writes() {
            self.written(platform).await
        } else {
            self.asked(platform).await
        }
    }

    async fn asked(&self, platform: &dyn Platform) -> anyhow::Result<Value> {
        Ok(match self {
            Self::User { id } => json!(platform.user(&UserId::new(id.as_str())).await?),
            Self::UserByEmail { email } => json!(platform.user_by_email(&address(email)?).await?),
            Self::Customer { id } => {
                json!(platform.customer(&CustomerId::new(id.as_str())).await?)
            }
            Self::CustomerByCode { code } => json!(platform.customer_by_code(code).await?),
            Self::PartnerByCode { code } => json!(platform.partner_by_code(code).await?),
            Self::Administrators { customer } => {
                let customer = CustomerId::new(customer.as_str());
                let found = platform.administrators(&customer).await?;
                found.iter().map(administrator).collect()
            }
            Self::Profile { user } => json!(platform.profile(&UserId::new(user.as_str())).await?),
            Self::PasswordRules => platform.password_rules().await?.map_or(Value::Null, rules),
            Self::CheckPassword { email } => {
                match platform
                    .check_password(&address(email)?, &password()?)
                    .await?
                {
                    PasswordCheck::Right(user) => json!({ "right": user }),
                    PasswordCheck::Wrong => json!("wrong, or not let in"),
                    PasswordCheck::Unsupported => json!("the platform checks no passwords"),
                }
            }
            _ => capabilities(platform),
        })
    }

    async fn written(&self, platform: &dyn Platform) -> anyhow::Result<Value> {
        Ok(match self {
            Self::EnsureCustomer(one) => {
                let new: NewCustomer = one.read()?;
                made(platform.ensure_customer(&one.mark(), &new).await?, |id| {
                    json!(id)
                })
            }
            Self::EnsureLocation(one) => {
                let new: NewLocation = one.read()?;
                made(platform.ensure_location(&one.mark(), &new).await?, |id| {
                    json!(id)
                })
            }
            Self::EnsureUser(one) => {
                let new: NewUser = one.read()?;
                let made_one = platform.ensure_user(&one.mark(), &new, None).await?;
                made(made_one, |id| json!(id))
            }
            Self::RemoveCustomer(one) => {
                let new: NewCustomer = one.read()?;
                undone(platform.remove_customer(&one.mark(), &new).await?)
            }
            Self::RemoveLocation(one) => {
                let new: NewLocation = one.read()?;
                undone(platform.remove_location(&one.mark(), &new).await?)
            }
            Self::RemoveUser(one) => {
                let new: NewUser = one.read()?;
                undone(platform.remove_user(&one.mark(), &new).await?)
            }
            _ => self.changed(platform).await?,
        })
    }

    async fn changed(&self, platform: &dyn Platform) -> anyhow::Result<Value> {
        let is_changed = match self {
            Self::UpdateProfile { user, change } => {
                let change: ProfileChange = from_file(change)?;
                let user = UserId::new(user.as_str());
                platform.update_profile(&user, &change).await?
            }
            Self::UpdateRoles { user, give, take } => {
                let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
                let change = RoleChange {
                    give: set(give),
                    take: set(take),
                };
                let user = UserId::new(user.as_str());
                platform.update_roles(&user, &change).await?
            }
            Self::SetPassword { user } => {
                let user = UserId::new(user.as_str());
                platform.set_password(&user, &password()?).await?
            }
            _ => false,
        };
        Ok(if is_changed {
            json!("done")
        } else {
            json!("there is no such user, or the platform cannot do it")
        })
    }
}

impl Record {
    fn mark(&self) -> Mark {
        Mark::new(self.mark.as_str())
    }

    fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        from_file(&self.record)
    }
}

fn from_file<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    serde_json::from_str(&text_of(path)?)
        .with_context(|| format!("{} does not fit", path.display()))
}

fn address(text: &str) -> anyhow::Result<EmailAddress> {
    EmailAddress::parse(text).context("this is no e-mail address")
}

/// From standard input, because arguments are seen by everybody on the machine.
fn password() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

fn made<T>(made: Made<T>, id: impl Fn(T) -> Value) -> Value {
    match made {
        Made::Created(thing) => json!({ "created": id(thing) }),
        Made::Found(thing) => json!({ "found": id(thing) }),
    }
}

fn undone(undone: Undone) -> Value {
    match undone {
        Undone::Removed => json!("removed"),
        Undone::Absent => json!("absent"),
        Undone::Kept => json!("kept"),
    }
}

fn administrator(one: &Administrator) -> Value {
    json!({
        "user": one.user, "email": one.email, "name": one.name, "language": one.language,
    })
}

fn rules(rules: PasswordRules) -> Value {
    let PasswordRules {
        min_length,
        max_length,
        uppercase,
        lowercase,
        digits,
        specials,
        spaces,
    } = rules;
    json!({
        "min_length": min_length, "max_length": max_length, "uppercase": uppercase,
        "lowercase": lowercase, "digits": digits, "specials": specials, "spaces": spaces,
    })
}

fn capabilities(platform: &dyn Platform) -> Value {
    let can = platform.capabilities();
    json!({
        "passwords": can.passwords, "new_passwords": can.new_passwords,
        "locations": can.locations, "partners": can.partners, "roles": can.roles,
    })
}
