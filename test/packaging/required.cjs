// The package, as a part of the project that uses require() gets it.
'use strict'
exports.sockets = require('fastify-websocket-lifecycle')
exports.testing = require('fastify-websocket-lifecycle/testing')
exports.redis = require('fastify-websocket-lifecycle/redis')
