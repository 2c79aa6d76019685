// Hosts edge functions as Supabase does, in one process: the first part of a path says which, and stays in it. A path
// that names none goes to the first one.

const names = Deno.args;
const served = new Map<string, Deno.ServeHandler>();
const { serve } = Deno;

for (const name of names) {
  Deno.serve = ((handler: Deno.ServeHandler) => {
    served.set(name, handler);
  }) as unknown as typeof Deno.serve;
  await import(`../../supabase/functions/${name}/index.ts`);
}

serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`port ${port}`),
}, (request, info) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/unload") { // as the platform, when it takes an isolate away
    dispatchEvent(new Event("beforeunload"));
    return new Response();
  }
  const name = pathname.replace("/functions/v1", "").split("/")[1];
  return (served.get(name) ?? served.get(names[0])!)(request, info);
});
