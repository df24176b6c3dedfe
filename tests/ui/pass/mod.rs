//! Items that the attribute accepts, and the policy that applies to them.

#![deny(warnings)]

mod all_keys;
mod generics_and_lints;
mod module_of_handlers;
mod module_with_scope;
mod plain_handler;
mod policy_above_route;
mod policy_before_wraps;
mod policy_below_route;
mod require_login;
mod require_login_in_module;
mod service_fn;
mod sixteen_extractors;
