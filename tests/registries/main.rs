//! Every registry passes the conformance suite, and every test of the suite detects a fault.
//!
//! A new registry needs one line in [`conformance`], one in [`equivalence`] and one in
//! [`linearizability`]. The memory registry passes the suite in the unit tests of the crate.

mod backends;
mod equivalence;
mod faulty_registries;
mod linearizability;
mod moving_slots;
mod reference;
mod retention;
#[path = "../rounds.rs"]
mod rounds;
mod threads;

mod conformance {
    mod sqlite {
        session_expire::registry::conformance_tests!(async { crate::backends::sqlite() });
    }

    mod redis {
        session_expire::registry::conformance_tests!(
            runner = crate::backends::tokio,
            fresh = async { crate::backends::redis().await },
        );
    }

    mod caching_redis {
        session_expire::registry::conformance_tests!(
            runner = crate::backends::tokio,
            fresh = async { crate::backends::caching_redis().await },
        );
    }

    mod cluster {
        session_expire::registry::conformance_tests!(
            runner = crate::backends::tokio,
            fresh = async { crate::backends::cluster().await },
        );
    }

    mod reference {
        session_expire::registry::conformance_tests!(async {
            crate::reference::Reference::default()
        });
    }

    #[test]
    #[ignore = "run by `tests/run --all`"]
    fn sentinel_keeps_every_promise() {
        use crate::backends::{sentinel, tokio};
        use session_expire::registry::conformance::{PROMISES, check};
        for (name, _) in PROMISES {
            check(name, sentinel(), tokio);
        }
    }

    #[test]
    fn history_limit_is_kept() {
        use crate::backends::{cluster, redis, sqlite, tokio};
        use session_expire::{
            Limit, MemoryRegistry,
            registry::{Registry, conformance},
        };
        for limit in [0, 1, 3] {
            tokio(Box::pin(async {
                let registries: [Box<dyn Registry>; 4] = [
                    Box::new(MemoryRegistry::new().history_limit(Limit::At(limit))),
                    Box::new(sqlite().history_limit(Limit::At(limit))),
                    Box::new(redis().await.history_limit(Limit::At(limit))),
                    Box::new(cluster().await.history_limit(Limit::At(limit))),
                ];
                for registry in registries {
                    conformance::history_keeps_the_last_sessions(&*registry, limit).await;
                }
            }));
        }
    }
}
