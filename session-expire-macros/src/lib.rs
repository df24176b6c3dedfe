//! The [`macro@session_policy`] attribute of `session-expire`: a stricter or laxer session for one
//! handler, one scope or one module. Use it from there; this crate is only its home.
//!
//! ```ignore
//! use session_expire::session_policy;
//!
//! #[session_policy(idle = "1m", max_sessions = 1)]
//! #[get("/vault")]
//! async fn vault(user: Identity) -> impl Responder { /* … */ }
//! ```

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod builder;
mod duration;
mod expand;
mod handler;
mod model;
mod parse;
mod route;
mod value;

/// Changes the session policy for the handlers it stands on.
///
/// ```ignore
/// #[session_policy(idle = "1m", max_sessions = 1)]
/// #[get("/vault")]
/// async fn vault(user: Identity) -> impl Responder { /* … */ }
/// ```
///
/// What it doesn't mention is inherited: from the module or scope around the handler, and in the
/// end from the application's policy. The innermost attribute wins, key by key.
///
/// # Keys
///
/// | key | value | meaning |
/// |---|---|---|
/// | `idle` | `"10m"`, `"never"` | signed out after so long without activity |
/// | `absolute` | `"8h"`, `"never"` | signed out so long after the login, whatever happens |
/// | `warn` | `"30s"`, `"never"` | how long before the end the person is warned |
/// | `max_sessions` | `3`, `"unlimited"` | logins of one user at a time; `0` is `"unlimited"` |
/// | `overflow` | `"evict"`, `"least_recent"`, `"refuse"` | who gives way: the oldest login, the one unused for longest, or the new one |
/// | `passive` | alone, or `true`, `false` | requests are judged but don't count as activity |
/// | `message` | `"Please sign in again"` | what the user is told when the session is over; `""` for no message |
/// | `login_url` | `"/login"` | where to sign in: a path on this site |
/// | `require_login` | alone, or `true`, `false` | anonymous and expired requests are challenged |
///
/// Durations are whole numbers with the units `d`, `h`, `m`, `s` and `ms`, from large to small and
/// each once: `"2d"`, `"1h30m"`, `"250ms"`. `"never"` and `"unlimited"` switch an inherited limit
/// off.
///
/// # Where it goes
///
/// **On a handler**, preferably above the route attribute. The policy is then judged before any
/// `wrap` of that route. It holds for every method and path of `#[route]` and `#[routes]`.
///
/// ```ignore
/// #[session_policy(passive)]
/// #[routes]
/// #[get("/news")]
/// #[get("/updates")]
/// async fn news(user: Option<Identity>) -> impl Responder { /* … */ }
/// ```
///
/// Below the route attribute, or on an `async fn` that is given to `web::get().to(…)`, the policy
/// becomes a first, hidden argument of the function: it is judged after the `wrap`s of the route,
/// and before every extractor. Code that calls such a function itself has one argument more to
/// pass, so test it through a request.
///
/// ```ignore
/// #[session_policy(absolute = "30m")]
/// async fn transfer(user: Identity, form: web::Form<Transfer>) -> impl Responder { /* … */ }
///
/// App::new().route("/transfer", web::post().to(transfer))
/// ```
///
/// **On a function that builds a scope or a resource**, also in a `Result`, also `async`:
///
/// ```ignore
/// #[session_policy(idle = "2m", absolute = "30m")]
/// fn admin() -> impl HttpServiceFactory {
///     web::scope("/admin").service(users).service(settings)
/// }
/// ```
///
/// Written as `-> Scope` or `-> Resource`, the function returns an `impl HttpServiceFactory`
/// instead: it can be registered, and nothing more can be added to it.
///
/// **On a module** written out in place: it holds for each function in it that has a route
/// attribute, also in the modules inside. It works above and below actix's `#[scope("/path")]`.
///
/// ```ignore
/// #[session_policy(idle = "5m")]
/// #[scope("/reports")]
/// mod reports {
///     #[get("/year")]
///     pub async fn year(user: Identity) -> impl Responder { /* five minutes */ }
///
///     #[session_policy(idle = "1m")]
///     #[get("/salaries")]
///     pub async fn salaries(user: Identity) -> impl Responder { /* one minute */ }
/// }
/// ```
///
/// The attributes of the module, of modules inside it and of the handler become one layer, the
/// innermost first, so a handler in a module can also be laxer, or open:
///
/// ```ignore
/// #[session_policy(require_login)]
/// mod account {
///     #[get("/account")]
///     pub async fn account(user: Identity) -> impl Responder { /* signed-in users only */ }
///
///     #[session_policy(require_login = false)]
///     #[get("/account/help")]
///     pub async fn help() -> impl Responder { /* open to all */ }
/// }
/// ```
///
/// A scope is different: its policy is checked before the request is routed. Nothing inside a scope
/// that requires a login can be open. Mount an open page outside of it.
///
/// Without the macro, `web::scope("/admin").wrap(PolicyPatch::new().idle(minutes(2)))` does the same.
///
/// # What it can't see
///
/// A module's policy reaches the functions whose route attribute goes by actix's own name, such as
/// `#[get]` or `#[actix_web::get]`. It does not reach an `async fn` without one, a renamed route
/// attribute (`use actix_web::get as fetch`), or a handler that another macro writes: put the
/// attribute on those, or on the scope they are registered in. With `require_login`, prefer the
/// scope: it covers all of its handlers.
///
/// An attribute of a handler in a module must go by the name `session_policy`, or stand above the
/// route attribute. A renamed one below it is a second layer, which cannot undo `require_login`.
///
/// A function inside an `impl` can be given a policy if it builds a scope or resource. A handler
/// has to be a free function.
///
/// # Mistakes
///
/// Whatever it can see to have no effect doesn't compile, and the error says what to write instead: an
/// unknown key, a number without its unit, `warn` not shorter than `idle`, a module without
/// handlers, a function that is neither a handler nor builds a scope.
#[proc_macro_attribute]
pub fn session_policy(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), &item.into()).into()
}
