/** The stream of Service Pulse: loaded after the numbers, which are what one comes to see first. */
import { createFeed } from "../feed/feed.js";
import { FeedView } from "../feed/feed_view.js";
import { lazy } from "../lazy.js";
import { html, useEffect, useMemo } from "../ui.js";

const Snippets = lazy(() => import("./snippets.js"), "Snippets");

/** The stream, or what makes a first event. `opened` is the signal that holds its feed while it is shown. */
export function PulseStream({ project, opened }) {
    const feed = useMemo(() => createFeed({ project, topic: "activity" }), [project]);
    useEffect(() => {
        opened.value = feed;
        return () => {
            opened.value = null;
            feed.close();
        };
    }, [feed]);
    const snippets = html`<${Snippets} project=${project} state=${feed.state} />`;
    return html`<${FeedView} feed=${feed} title="Stream" empty=${snippets} />`;
}
