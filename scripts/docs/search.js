// The search box of every page. The index is a script (search-index.js), so that the site works from a folder too.
const { options, index } = window.prefgradSearch;
const search = window.MiniSearch.loadJS(index, options);
const box = document.querySelector('nav input');
const list = document.querySelector('#found');

box.addEventListener('input', () => {
  const found = search.search(box.value, { prefix: true, fuzzy: 0.2, boost: { title: 3 } }).slice(0, 8);
  list.hidden = found.length === 0;
  list.replaceChildren(
    ...found.map(({ id, title, page }) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      link.href = id;
      link.textContent = title;
      const place = document.createElement('small');
      place.textContent = page;
      item.append(link, place);
      return item;
    }),
  );
});

// On a small screen the page comes first, and its list is one tap away.
if (matchMedia('(max-width: 50rem)').matches) document.querySelector('nav details').open = false;
