// The public conformance suite against the server at CONFORMANCE_TEST_URL. Subscriptions (protocol section 6) are not served,
// and the suite leaves them out unless it is asked.

import { runConformanceTests } from "@durable-streams/server-conformance-tests";

runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL });
