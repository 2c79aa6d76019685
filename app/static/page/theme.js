// Before anything is painted: the theme that was chosen here, if one was. A script of its own, for it must not wait.
{
  let chosen = null
  try {
    chosen = localStorage.getItem('wfg-theme')
  } catch {
    // storage is forbidden: the system's wish
  }
  if (['light', 'dark', 'contrast'].includes(chosen)) document.documentElement.dataset.theme = chosen
}
