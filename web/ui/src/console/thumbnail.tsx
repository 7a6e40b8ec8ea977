// The screen, small and live, to look at only.
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { ScreenLink } from './screen_link';

export function Thumbnail(): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const link = new ScreenLink(place.current!, 'view');
    link.open(false);
    return () => link.close();
  }, []);
  return <div class="thumbnail-screen" ref={place} />;
}
