import { routeOf, type Route } from './route';

class Router {
  route = $state<Route>({ page: 'home' });
  /** Grows with every visit, so that going to the same address again can be noticed. */
  visit = $state(0);

  start(): () => void {
    const read = () => {
      this.route = routeOf(location.pathname, location.search);
      this.visit += 1;
    };
    read();
    // One place makes all plain links work without loading the page anew.
    const click = (event: MouseEvent) => {
      if (event.defaultPrevented || event.button !== 0) return;
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      const link = (event.target as Element | null)?.closest?.('a');
      if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (link.pathname.startsWith('/api/')) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    };
    addEventListener('popstate', read);
    document.addEventListener('click', click);
    return () => {
      removeEventListener('popstate', read);
      document.removeEventListener('click', click);
    };
  }

  go(path: string, replace = false): void {
    const same = path === location.pathname + location.search;
    history[replace || same ? 'replaceState' : 'pushState'](null, '', path);
    this.route = routeOf(location.pathname, location.search);
    this.visit += 1;
  }
}

export const router = new Router();
