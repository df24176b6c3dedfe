//! Every registry keeps every promise; and the promises notice when one is broken.
//!
//! A registry joins with one line in [`conformance`], one in [`sequences`] and one in [`one_step`].

mod broken;
mod forgetting;
mod one_step;
mod plain;
mod real;
mod sequences;
mod threads;

mod conformance {
    mod memory {
        session_expire::conformance_tests!(async { session_expire::MemoryRegistry::new() });
    }

    mod sqlite {
        session_expire::conformance_tests!(async { crate::real::sqlite() });
    }

    mod redis {
        session_expire::conformance_tests!(
            runner = crate::real::tokio,
            fresh = async { crate::real::REDIS.registry().await },
        );
    }

    mod redis_that_caches {
        session_expire::conformance_tests!(
            runner = crate::real::tokio,
            fresh = async { crate::real::REDIS.caching().await },
        );
    }

    mod plain {
        session_expire::conformance_tests!(async { crate::plain::Plain::default() });
    }

    /// A registry that is not there at once, and a runner that is asked for it.
    mod with_a_runner {
        use actix_web::rt::System;

        session_expire::conformance_tests!(
            runner = |work| System::new().block_on(work),
            fresh = async { session_expire::MemoryRegistry::new() },
        );
    }

    #[test]
    fn a_log_limit_is_kept() {
        use crate::real::{REDIS, sqlite, tokio};
        use session_expire::{Limit, MemoryRegistry, Registry, conformance};
        for limit in [0, 1, 3] {
            tokio(Box::pin(async {
                let registries: [Box<dyn Registry>; 3] = [
                    Box::new(MemoryRegistry::new().log_limit(Limit::At(limit))),
                    Box::new(sqlite().log_limit(Limit::At(limit))),
                    Box::new(REDIS.registry().await.log_limit(Limit::At(limit))),
                ];
                for registry in registries {
                    conformance::the_log_keeps_the_last_logins(&*registry, limit).await;
                }
            }));
        }
    }
}
