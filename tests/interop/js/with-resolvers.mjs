// js-libp2p uses Promise.withResolvers, which Node has from version 22 on.
Promise.withResolvers ??= function () {
  let resolve
  let reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
