//! Tests with cookies of the published actix-session and actix-identity.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{
    Session, SessionMiddleware,
    config::CookieContentSecurity::{self, Private, Signed},
    storage::{
        CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
        generate_session_key,
    },
};
use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse,
    cookie::{Key, time::Duration},
    http::header::{COOKIE, SET_COOKIE},
    test::{self, TestRequest},
    web,
};

use super::{Migration, OldSession};
use crate::{error::RegistryError, time::Timestamp};

const IDENTITY: &str = "actix_identity.user_id";
const UNTIL: Timestamp = Timestamp::from_millis(1_798_761_600_000);

/// Session store on the server, which can fail.
#[derive(Clone, Default)]
struct MemoryStore {
    states: Arc<Mutex<HashMap<String, HashMap<String, String>>>>,
    is_down: Arc<AtomicBool>,
}

impl MemoryStore {
    fn check(&self) -> Result<(), anyhow::Error> {
        let is_down = self.is_down.load(Ordering::SeqCst);
        if is_down { Err(anyhow::anyhow!("connection refused")) } else { Ok(()) }
    }

    fn len(&self) -> usize {
        self.states.lock().unwrap().len()
    }
}

impl SessionStore for MemoryStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        self.check().map_err(LoadError::Other)?;
        Ok(self.states.lock().unwrap().get(key.as_ref()).cloned())
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        self.states.lock().unwrap().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.states.lock().unwrap().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.check()?;
        self.states.lock().unwrap().remove(key.as_ref());
        Ok(())
    }
}

async fn login(req: HttpRequest, session: Session) -> HttpResponse {
    session.insert("cart", [1, 2]).unwrap();
    Identity::login(&req.extensions(), "alice".to_owned()).unwrap();
    HttpResponse::Ok().finish()
}

async fn theme(session: Session) -> HttpResponse {
    session.insert("theme", "dark").unwrap();
    HttpResponse::Ok().finish()
}

/// Sends requests to the old application, and returns the cookie after each.
async fn cookies<S: SessionStore + 'static>(
    store: S,
    key: &Key,
    security: CookieContentSecurity,
    paths: &[&str],
) -> Vec<String> {
    let session = SessionMiddleware::builder(store, key.clone()).cookie_content_security(security);
    let deadline = Some(std::time::Duration::from_secs(3_600));
    let identity = IdentityMiddleware::builder().login_deadline(deadline).visit_deadline(deadline);
    let app = App::new()
        .route("/login", web::get().to(login))
        .route("/theme", web::get().to(theme))
        .route(
            "/number",
            web::get().to(|session: Session| async move {
                session.insert("user_id", 17).map(|()| HttpResponse::Ok())
            }),
        )
        .wrap(identity.build())
        .wrap(session.build());
    let app = test::init_service(app).await;
    let mut cookies: Vec<String> = vec![];
    for path in paths {
        let mut request = TestRequest::get().uri(path);
        if let Some(cookie) = cookies.last() {
            request = request.insert_header((COOKIE, cookie.clone()));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let cookie = response.headers().get(SET_COOKIE).unwrap().to_str().unwrap();
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    cookies
}

async fn cookie<S: SessionStore + 'static>(
    store: S,
    key: &Key,
    security: CookieContentSecurity,
) -> String {
    cookies(store, key, security, &["/login"]).await.remove(0)
}

fn migration<S: SessionStore + Send + Sync + 'static>(store: S, key: &Key) -> Migration {
    Migration::new("id", key.clone(), store, UNTIL)
}

fn request(cookie: &str) -> HttpRequest {
    TestRequest::default().insert_header((COOKIE, cookie)).to_http_request()
}

async fn read(migration: &Migration, cookie: &str) -> Result<Option<OldSession>, RegistryError> {
    let request = request(cookie);
    assert!(migration.has_cookie(&request), "{cookie}");
    migration.read(&request, IDENTITY).await
}

async fn session(migration: &Migration, cookie: &str) -> OldSession {
    read(migration, cookie).await.unwrap().unwrap()
}

#[actix_web::test]
async fn every_kind_of_cookie_is_adopted() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    for security in [Private, Signed] {
        let server = cookie(store.clone(), &key, security).await;
        let client = cookie(CookieSessionStore::default(), &key, security).await;
        for (migration, cookie) in [
            (migration(store.clone(), &key), server),
            (migration(CookieSessionStore::default(), &key), client),
        ] {
            let old = session(&migration, &cookie).await;
            let entries: Vec<_> = old.data.entries().map(|(n, json)| (n, json.get())).collect();
            assert_eq!((old.user.as_str(), entries), ("alice", vec![("cart", "[1,2]")]));
            assert!(old.logged_in_at.is_some_and(|at| at.as_millis() > 1_700_000_000_000));
            assert_eq!(session(&migration, &cookie).await.key, old.key);
        }
    }
}

#[actix_web::test]
async fn user_of_other_identity_key_is_adopted() {
    let key = Key::generate();
    let store = CookieSessionStore::default();
    let cookie = cookies(store, &key, Private, &["/number"]).await.remove(0);
    let migration = migration(CookieSessionStore::default(), &key);
    let old = migration.read(&request(&cookie), "user_id").await.unwrap().unwrap();
    let names: Vec<_> = old.data.entries().map(|(name, _)| name).collect();
    assert_eq!((old.user.as_str(), names, old.logged_in_at), ("17", vec!["user_id"], None));
    assert!(read(&migration, &cookie).await.unwrap().is_none());
}

#[actix_web::test]
async fn anonymous_session_is_not_adopted() {
    let key = Key::generate();
    let cookie = cookies(CookieSessionStore::default(), &key, Private, &["/theme"]).await.remove(0);
    let migration = migration(CookieSessionStore::default(), &key);
    assert!(read(&migration, &cookie).await.unwrap().is_none());
}

#[actix_web::test]
async fn server_session_has_stable_record_key() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    for security in [Private, Signed] {
        let cookies = cookies(store.clone(), &key, security, &["/login", "/theme"]).await;
        let other = cookie(store.clone(), &key, security).await;
        let migration = migration(store.clone(), &key);
        let [first, second] = [&cookies[0], &cookies[1]];
        let record_key = session(&migration, first).await.key;
        assert_eq!(session(&migration, second).await.key, record_key);
        assert_ne!(session(&migration, &other).await.key, record_key);
    }
}

#[actix_web::test]
async fn devices_with_same_state_have_two_record_keys() {
    let key = Key::generate();
    let migration = migration(CookieSessionStore::default(), &key);
    let mut record_keys = vec![];
    for security in [Private, Private, Signed, Signed] {
        let store = CookieSessionStore::default();
        let cookie = cookies(store, &key, security, &["/number"]).await.remove(0);
        let old = migration.read(&request(&cookie), "user_id").await.unwrap();
        record_keys.push(old.unwrap().key);
    }
    assert_ne!(record_keys[0], record_keys[1]);
    // A signature is the same on all devices.
    assert_eq!(record_keys[2], record_keys[3]);
}

#[actix_web::test]
async fn forged_cookie_is_not_adopted() {
    let (key, other) = (Key::generate(), Key::generate());
    let migration = migration(CookieSessionStore::default(), &key);
    for security in [Private, Signed] {
        let forged = cookie(CookieSessionStore::default(), &other, security).await;
        let mut changed = cookie(CookieSessionStore::default(), &key, security).await;
        let last = if changed.ends_with('A') { "B" } else { "A" };
        changed.replace_range(changed.len() - 1.., last);
        for cookie in [forged, changed] {
            assert!(read(&migration, &cookie).await.unwrap().is_none(), "{cookie}");
        }
    }
}

#[actix_web::test]
async fn unknown_or_invalid_state_is_not_adopted() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    let server = cookie(store.clone(), &key, Private).await;
    let unknown = migration(MemoryStore::default(), &key);
    assert!(read(&unknown, &server).await.unwrap().is_none());
    let unreadable = migration(CookieSessionStore::default(), &key);
    assert!(read(&unreadable, &server).await.unwrap().is_none());
}

#[actix_web::test]
async fn unavailable_store_is_an_error() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    let cookie = cookie(store.clone(), &key, Private).await;
    let migration = migration(store.clone(), &key);
    let old = session(&migration, &cookie).await;
    store.is_down.store(true, Ordering::SeqCst);
    let error = read(&migration, &cookie).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the session registry could not load from the former session store"
    );
    migration.delete(&old).await;
    assert_eq!(store.len(), 1);
}

#[actix_web::test]
async fn delete_removes_entry_of_store() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    let cookies =
        [cookie(store.clone(), &key, Private).await, cookie(store.clone(), &key, Private).await];
    let migration = migration(store.clone(), &key);
    migration.delete(&session(&migration, &cookies[0]).await).await;
    assert!(read(&migration, &cookies[0]).await.unwrap().is_none());
    assert!(read(&migration, &cookies[1]).await.unwrap().is_some());
    assert_eq!(store.len(), 1);
}

#[test]
fn migration_is_send_and_sync() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Migration>();
}

#[actix_web::test]
async fn debug_output_has_no_secrets() {
    let (key, store) = (Key::generate(), MemoryStore::default());
    let cookie = cookie(store.clone(), &key, Private).await;
    let migration = migration(store.clone(), &key).path("/app").domain("a.example");
    let removal = migration.removal_cookie();
    assert_eq!((removal.name(), removal.value()), (migration.cookie_name(), ""));
    assert_eq!((removal.path(), removal.domain()), (Some("/app"), Some("a.example")));
    let old = session(&migration, &cookie).await;
    assert_eq!(migration.until(), UNTIL);
    let text = format!("{migration:?} {old:?}");
    let session_key = store.states.lock().unwrap().keys().next().unwrap().clone();
    assert!(!text.contains(&session_key) && !text.contains(old.key.secret()), "{text}");
    assert!(text.starts_with("Migration { cookie: \"id\", until: "), "{text}");
}
