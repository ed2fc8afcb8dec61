//! The one integration binary: journeys, attacks and faults, in modules named by behaviour, against
//! real neighbours: Redis, PostgreSQL, SQLite, an OpenID provider, a mail server, raw sockets.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod grpc;
#[cfg(test)]
mod harness_works;

#[cfg(test)]
mod listeners;
#[cfg(test)]
mod proxy_protocol;
#[cfg(test)]
mod restarts;

#[cfg(test)]
mod first_login;
#[cfg(test)]
mod in_a_real_browser;

#[cfg(test)]
mod access_tokens;
#[cfg(test)]
mod account_recheck;
#[cfg(test)]
mod api_client_attacks;
#[cfg(test)]
mod api_clients;
#[cfg(test)]
mod callback_attacks;
#[cfg(test)]
mod certified_provider;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod known_user;
#[cfg(test)]
mod logout;
#[cfg(test)]
mod provider_outage;
#[cfg(test)]
mod store_outage;
#[cfg(test)]
mod token_forgery;

#[cfg(test)]
mod database_outage;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod session_attacks;
#[cfg(test)]
mod session_faults;
#[cfg(test)]
mod session_stores;
#[cfg(test)]
mod several_platforms;
#[cfg(test)]
mod several_upstreams;
#[cfg(test)]
mod store_faults;
#[cfg(test)]
mod wrong_clocks;

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod assertions;
#[cfg(test)]
mod claims_in_rules;
#[cfg(test)]
mod header_hygiene;
#[cfg(test)]
mod held_back;
#[cfg(test)]
mod http2_attacks;
#[cfg(test)]
mod http2_floods;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod odd_requests;
#[cfg(test)]
mod own_pages;
#[cfg(test)]
mod path_policy;
#[cfg(test)]
mod proxy_attacks;
#[cfg(test)]
mod request_smuggling;
#[cfg(test)]
mod rule_headers;
#[cfg(test)]
mod slow_uploads;
#[cfg(test)]
mod step_up;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod upstream_servers;
#[cfg(test)]
mod upstream_tls;
#[cfg(test)]
mod websocket;

#[cfg(test)]
mod agreements;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod attributes;
#[cfg(test)]
mod cluster_limits;
#[cfg(test)]
mod customer_verification;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod live_revocation;
#[cfg(test)]
mod mail_delivery;

#[cfg(test)]
mod captcha;
#[cfg(test)]
mod funnel;
#[cfg(test)]
mod local_login;
#[cfg(test)]
mod redis_groups;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod registration_attacks;
#[cfg(test)]
mod same_answer;
#[cfg(test)]
mod self_registration;
#[cfg(test)]
mod sign_up_forms;

#[cfg(test)]
mod four_platforms;
#[cfg(test)]
mod lost_replies;
#[cfg(test)]
mod parallel_submits;
#[cfg(test)]
mod platform_api;
#[cfg(test)]
mod platform_contract;
#[cfg(test)]
mod rest_by_hand;
#[cfg(test)]
mod rest_dialects;
#[cfg(test)]
mod rest_faults;
#[cfg(test)]
mod rest_journeys;
#[cfg(test)]
mod scim;
#[cfg(test)]
mod scim_faults;
#[cfg(test)]
mod scim_inbound;
#[cfg(test)]
mod thingsboard;
#[cfg(test)]
mod thingsboard_clean_up;
#[cfg(test)]
mod thingsboard_faults;
#[cfg(test)]
mod thingsboard_hand_off;
#[cfg(test)]
mod thingsboard_journeys;
#[cfg(test)]
mod thingsboard_tutorial;

#[cfg(test)]
#[cfg(feature = "fault-points")]
mod distant_platform;
#[cfg(test)]
#[cfg(feature = "fault-points")]
mod interrupted_asking;
#[cfg(test)]
#[cfg(feature = "fault-points")]
mod interrupted_provisioning;
