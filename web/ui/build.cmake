# Checks and builds the page in WORK, a copy of SOURCE: the source folder stays as git has it, and
# two builds do not meet. Nothing to do where its libraries could not be fetched.
if(NOT EXISTS ${WORK}/fetched)
    return()
endif()
file(REMOVE_RECURSE ${WORK}/src ${WORK}/public)
file(COPY ${SOURCE}/src ${SOURCE}/public ${SOURCE}/index.html ${SOURCE}/vite.config.ts
    ${SOURCE}/tsconfig.json DESTINATION ${WORK})
foreach(step "check" "build;--;--logLevel;warn;--emptyOutDir;--outDir;${OUTPUT}")
    execute_process(COMMAND ${NPM} run --silent ${step} WORKING_DIRECTORY ${WORK}
        RESULT_VARIABLE failed)
    if(failed)
        message(FATAL_ERROR "The web page cannot be built.")
    endif()
endforeach()
