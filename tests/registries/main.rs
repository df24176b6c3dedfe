mod memory { use session_expire::MemoryRegistry; session_expire::conformance_tests!(async { MemoryRegistry::new() }); }
