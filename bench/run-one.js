// One contender, one file, one process: a warm-up over the whole file, then the timed pass.
const [, , name, file] = process.argv
const { run, version } = await import(`./contenders/${name}.js`)

await run(file)
const start = performance.now()
const found = await run(file)
const seconds = (performance.now() - start) / 1000
const rssMb = process.resourceUsage().maxRSS / 1024
process.stdout.write(JSON.stringify({ ...found, seconds, rssMb, version: version ?? null }))
